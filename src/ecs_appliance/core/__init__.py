"""Foundation of all other packages: processes, files, paths, locks, errors. Imports no other package of the project."""
