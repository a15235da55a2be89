"""Object storage: raw bytes under keys, presigned uploads and downloads."""
