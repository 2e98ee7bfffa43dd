"""The trade-off as a page, plots and tables, from the runs that MLflow holds.

``collect`` reads the runs, ``contents.build`` says everything the report says as plain values, ``plots`` draws each
chart once for the page and for files, and ``files.write`` puts all of it into a folder.
"""
