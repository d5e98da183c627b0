"""The pages that show the whole: home, one's own account, jobs, and the help."""
