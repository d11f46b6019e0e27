"""What every training needs: a device, threads, a state, and a checkpoint of it (extra ``torch``)."""
