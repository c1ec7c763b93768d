"""How good found boxes and answers are: metrics in numpy, inputs, runs that resume, reports with pictures."""
