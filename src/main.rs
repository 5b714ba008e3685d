//! The `brevet` program; everything is in [`brevet::cli`].

fn main() -> std::process::ExitCode {
    brevet::cli::main()
}
