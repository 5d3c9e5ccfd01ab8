//! Tests that need a process of their own.

use std::ffi::OsStr;
use std::process::Command;

/// Environment and memory belong to a process: a test that changes them runs itself in another process, with these
/// variables and none of wgpu's other ones.
pub fn in_a_process_of_its_own<V: AsRef<OsStr>>(test: &str, environment: &[(&str, V)], body: impl FnOnce()) {
    if std::env::var_os("CHILD").is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    for variable in ["WGPU_BACKEND", "WGPU_ADAPTER_NAME", "WGPU_POWER_PREF"] {
        if !environment.is_empty() {
            command.env_remove(variable);
        }
    }
    let environment = environment.iter().map(|(name, value)| (name, value));
    let child = command.args(["--exact", test]).env("CHILD", "1").envs(environment).output().unwrap();
    let said = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// Lets this process grow by no more than `bytes`.
#[cfg(target_os = "linux")]
pub fn bound_growth(bytes: u64) {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    let status = Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), format!("--as={}", pages * 4096 + bytes)])
        .status()
        .expect("prlimit, of util-linux");
    assert!(status.success());
}
