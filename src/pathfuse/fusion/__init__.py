"""The methods: one file each, one registry, one contract suite."""
