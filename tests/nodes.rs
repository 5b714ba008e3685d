//! x
use crate::support::postgres;
use diesel::connection::SimpleConnection;
#[test]
fn smoke() {
    let url = postgres::database().unwrap();
    let mut c = postgres::connect(&url);
    c.batch_execute("create table a (b text)").unwrap();
    let p = postgres::Cluster::start().unwrap();
    let url = p.database();
    postgres::connect(&url);
    p.stop();
    p.resume();
    postgres::connect(&url);
}
