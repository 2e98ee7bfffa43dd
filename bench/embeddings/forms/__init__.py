"""How trained arrays are kept for serving, shared by several methods: packed integers, sparse rows, codes."""
