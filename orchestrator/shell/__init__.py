"""The IPython admin shell and the record of what is done in it."""
