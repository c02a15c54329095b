"""The network: loaded, examined, named, changed and put back."""
