"""What is made of a run: tables, plots, contact sheets and a page."""
