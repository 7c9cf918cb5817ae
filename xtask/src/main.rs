//! `cargo xtask`: the project's own tool.
//!
//! It checks the tree, runs the tests, measures, and proves the claims. It never takes part in a build of the product.

fn main() {
    eprintln!("usage: cargo xtask <command>");
    std::process::exit(2);
}
