"""Person re-identification pictures: readers of datasets, transforms and training batches."""
