"""What people see of a job: progress, surveys, totals, a page."""
