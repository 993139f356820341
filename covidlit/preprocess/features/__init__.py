"""Named features of a prepared volume, for models that do not look at voxels; kept beside it."""
