//! The tests of the API, in one program: seven would each compile the router and linking would take minutes.

mod cheap;
mod completeness;
mod extras;
mod limits;
mod networks;
mod openapi;
mod router;
