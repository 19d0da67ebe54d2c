"""What several suites share: sites in this process, and sites as processes of their own."""
