"""An HTTP server over an exported folder, with Starlette and uvicorn. ``bench.serving`` answers what it is asked."""
