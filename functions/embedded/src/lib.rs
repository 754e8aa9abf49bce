//! The post log and the window store on SQLite and in memory, for one machine.
