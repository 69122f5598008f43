//! Both programs, and what one may do at the other.

mod mirror;
mod rights;
mod trouble;
