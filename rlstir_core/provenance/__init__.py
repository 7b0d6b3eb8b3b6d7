"""Provenance graphs: which process made which, and what each did to files, sockets and other processes."""
