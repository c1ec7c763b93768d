"""Two-dimensional annotations of photographs, lifted to 3-D boxes by masks and metric depth."""
