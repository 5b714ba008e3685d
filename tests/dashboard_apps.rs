//! Apps and App Keys in the dashboard.

mod finding;
