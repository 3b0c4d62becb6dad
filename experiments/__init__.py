"""The experiments behind the documentation's tables and figures; the index is README.md."""
