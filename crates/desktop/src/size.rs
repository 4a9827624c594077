//! The size of the window, remembered from one time to the next.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A side that no screen has, and one on which nothing can be read, in logical pixels.
const SENSIBLE: std::ops::RangeInclusive<f64> = 320.0..=16_384.0;

/// A size, in logical pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// How wide it is when it does not fill the screen.
    pub width: f64,
    /// How high it is then.
    pub height: f64,
    /// Whether it fills the screen.
    #[serde(default)]
    pub maximized: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { width: 1_200.0, height: 800.0, maximized: false }
    }
}

impl Size {
    /// What was remembered; the usual size where nothing was, or nothing sensible.
    pub fn load(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let size = serde_json::from_str(&text).unwrap_or_default();
        let Self { width, height, .. } = size;
        if SENSIBLE.contains(&width) && SENSIBLE.contains(&height) { size } else { Self::default() }
    }

    /// Remembers it, whole or not at all.
    ///
    /// # Errors
    /// When the directory of the file cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_comes_back_and_nonsense_does_not() {
        let dir = std::env::temp_dir().join(format!("trunkline-size-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("size.json");
        assert_eq!(Size::load(&file), Size::default());
        let size = Size { width: 900.5, height: 700.0, maximized: true };
        size.save(&file).unwrap();
        assert_eq!(Size::load(&file), size);
        for nonsense in
            ["", "{", "{\"width\":1,\"height\":700}", "{\"width\":900,\"height\":1e9}", "{\"width\":900}"]
        {
            fs::write(&file, nonsense).unwrap();
            assert_eq!(Size::load(&file), Size::default(), "{nonsense}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
