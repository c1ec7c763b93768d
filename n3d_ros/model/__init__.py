"""The networks, in torch alone; used by training, export and the torch backend."""
