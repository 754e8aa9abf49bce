//! Queries, router and report lines: what the dashboard and --json show.
