"""Forms that serve: packed codes, sparse tables, quantized tables, tables of low rank."""
