"""What one sees: lists, patients, scans; slices drawn by the server."""
