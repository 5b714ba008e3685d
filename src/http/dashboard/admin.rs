//! Pages for those who run the server.

pub(super) mod keys;
pub(super) mod system;

#[cfg(test)]
pub(super) mod tests {
    use crate::http::dashboard::samples::Sample;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        [super::keys::tests::samples(), super::system::tests::samples()].into_iter().flatten().collect()
    }
}
