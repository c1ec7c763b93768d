"""The report of a bag: one HTML page with pictures, map, objects, timeline, latency, questions and answers."""
