//! QR codes as shapes of an inline SVG: no picture to fetch, and nothing that the content security policy forbids.

use qrcode::{Color, EcLevel, QrCode};
use serde::Serialize;

/// Light modules around a code, without which cameras do not find it.
const QUIET_ZONE: usize = 4;

/// A code for the partial `qr`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Qr {
    /// Modules from edge to edge, the quiet zone included.
    size: usize,
    /// The dark modules, as one SVG path: a bar for each run in a row.
    path: String,
}

impl Qr {
    /// The code of that text; nothing if it is too long for any.
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, modules) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            for run in modules.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    let (x, y, length) = (column + QUIET_ZONE, row + QUIET_ZONE, run.len());
                    path.push_str(&format!("M{x} {y}h{length}v1h-{length}z"));
                }
                column += run.len();
            }
        }
        Some(Self { size: width + 2 * QUIET_ZONE, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_in_the_path_and_no_other() {
        let text = "otpauth://totp/Brevet%20id.example.com:ana%40acme.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let qr = Qr::of(text).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let runs = qr.path.split('M').skip(1);
        let drawn: usize = runs.map(|run| run.split(['h', 'v']).nth(1).unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(drawn, dark);
        assert_eq!(qr.size, code.width() + 8);
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "the finder in the first corner");
        assert!(Qr::of(&"x".repeat(4_000)).is_none());
    }
}
