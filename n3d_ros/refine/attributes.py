def shape_word(*a,**k): return ''
def color_name(*a): return ''
