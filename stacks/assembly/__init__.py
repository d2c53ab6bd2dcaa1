"""How the archives and the template of `runctl/_assembly` are built. Nothing here imports the CDK."""
