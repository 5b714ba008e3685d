//! Software of others that tests try: found or fetched, and a reason when it is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Whether the surroundings promise to have what a test needs; then a test that cannot run must fail.
fn is_required(what: &str) -> bool {
    std::env::var("BREVET_TEST_REQUIRE").is_ok_and(|list| list.split(',').any(|name| name.trim() == what))
}

/// Says why a test does not run, or fails if it must.
pub fn skip(what: &str, why: &str) {
    assert!(!is_required(what), "{what} is required, but {why}");
    eprintln!("skipped: {why}");
}

/// What is there, or nothing after having said why.
pub fn or_skip<T>(what: &str, found: Result<T, String>) -> Option<T> {
    found.map_err(|why| skip(what, &why)).ok()
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<Output, String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Err(error) => Err(format!("{shown}: {error}")),
        Ok(output) if !output.status.success() => {
            let last = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ");
            Err(format!("{shown} failed: {last}"))
        }
        Ok(output) => Ok(output),
    }
}

/// Makes a directory under `target` once for these texts, and anew when one of them changed.
fn once(name: &str, sources: &[PathBuf], make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let stamp = home.join("made-of");
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let wanted = sources.iter().map(read).collect::<Result<String, String>>()?;
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(home);
    }
    make(&home)?;
    // Written last: what broke off is begun anew.
    fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    Ok(home)
}

/// The Python of a virtual environment with the packages of that `requirements.txt`.
pub fn python(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let home = once(name, &[requirements.to_owned()], |home| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(home.join("bin/python")).args(install).arg(requirements))?;
        Ok(())
    })?;
    Ok(home.join("bin/python"))
}

/// A directory with the packages that the lock file in `source` names, in `node_modules`.
pub fn node_modules(name: &str, source: &Path) -> Result<PathBuf, String> {
    let version = String::from_utf8_lossy(&run(Command::new("node").arg("--version"))?.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("Node 20 or later is needed, and this is {version}"));
    }
    let files = ["package.json", "package-lock.json"].map(|file| source.join(file));
    once(name, &files, |home| {
        let copied = fs::create_dir_all(home).and_then(|()| {
            files.iter().try_for_each(|file| fs::copy(file, home.join(file.file_name().unwrap())).map(drop))
        });
        copied.map_err(|error| error.to_string())?;
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(home))?;
        Ok(())
    })
}
