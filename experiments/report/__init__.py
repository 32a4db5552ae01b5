"""The report on runs: tables, figures and pages, all of it made of run folders."""
