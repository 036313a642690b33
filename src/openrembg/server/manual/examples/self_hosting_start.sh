./run serve
