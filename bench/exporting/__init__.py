"""Writes what a finished run serves, as files: tables, ids and the model, compared with Keras before they are kept."""
