//! The running node: sockets, tasks, clock, peers' wire protocol and the desks' local API
