//! One file as the disk has it: what is durable, and what was asked for since.

/// What a disk writes at once, in bytes.
const SECTOR: usize = 512;

/// Draws a number below another: what becomes of each write.
pub type Luck<'a> = dyn FnMut(u64) -> u64 + 'a;

/// Something that was asked for and is not durable yet.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// Bytes at a place.
    Write(usize, Vec<u8>),
    /// Another length.
    Truncate(usize),
    /// No file any more.
    Delete,
}

/// A file: its durable content, where it durably is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    durable: Option<Vec<u8>>,
    asked: Vec<Asked>,
}

impl Image {
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// All that was asked for is durable from now on.
    pub(crate) fn sync(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            carry_out(&mut self.durable, &asked, &mut |_| true);
        }
        self.durable.get_or_insert_default();
    }

    /// Whether no file of this name durably is there.
    pub(crate) fn is_new(&self) -> bool {
        self.durable.is_none()
    }

    /// The folder was synced: what was deleted stays so.
    pub(crate) fn sync_name(&mut self) {
        let deleted = |asked: &Asked| matches!(asked, Asked::Delete);
        if let Some(last) = self.asked.iter().rposition(deleted) {
            self.asked.drain(..=last);
            self.durable = None;
        }
    }

    /// What the disk could hold after the power was cut.
    pub(crate) fn remains(&self, luck: &mut Luck<'_>) -> Option<Vec<u8>> {
        let mut content = self.durable.clone();
        // Some power cuts lose everything, some nothing, most something.
        let mood = luck(4);
        for asked in &self.asked {
            let fate = if mood < 2 { mood } else { luck(3) };
            match fate {
                0 => {}
                1 => carry_out(&mut content, asked, &mut |_| true),
                _ => carry_out(&mut content, asked, &mut |_| luck(2) == 0),
            }
        }
        content
    }
}

/// Carries out what was asked for, of a write only the sectors that arrive.
fn carry_out(content: &mut Option<Vec<u8>>, asked: &Asked, arrives: &mut dyn FnMut(usize) -> bool) {
    match asked {
        Asked::Delete => *content = None,
        Asked::Truncate(length) => content.get_or_insert_default().resize(*length, 0),
        Asked::Write(at, bytes) => {
            let content = content.get_or_insert_default();
            let mut from = 0;
            while from < bytes.len() {
                // A sector begins where the disk's do, not where the write does.
                let room = SECTOR - (at + from) % SECTOR;
                let to = (from + room).min(bytes.len());
                if arrives(at + from) {
                    let end = at + to;
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[at + from..end].copy_from_slice(&bytes[from..to]);
                }
                from = to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Image {
        let mut image = Image::default();
        image.ask(Asked::Write(0, vec![1; 2048]));
        image.sync();
        image.ask(Asked::Write(256, vec![2; 1024]));
        image
    }

    /// Always the same draw.
    fn always(number: u64) -> impl FnMut(u64) -> u64 {
        move |_| number
    }

    #[test]
    fn what_was_synced_remains_whatever_comes() {
        let mut image = written();
        image.sync();

        for draw in 0..4 {
            let left = image.remains(&mut always(draw)).unwrap();

            assert_eq!(left[255..257], [1, 2]);
            assert_eq!(left[1279..1281], [2, 1]);
        }
    }

    #[test]
    fn what_was_not_synced_is_lost_kept_or_torn_at_sectors() {
        let image = written();

        let lost = image.remains(&mut always(0)).unwrap();
        let kept = image.remains(&mut always(1)).unwrap();
        // The mood, the fate, then each sector: the second of three arrives.
        let mut draws = [2, 2, 1, 0, 1].into_iter();
        let torn = image.remains(&mut |_| draws.next().unwrap()).unwrap();

        assert_eq!(lost, vec![1; 2048]);
        assert_eq!(kept[256..1280], vec![2; 1024]);
        assert_eq!(torn[..512], vec![1; 512]);
        assert_eq!(torn[512..1024], vec![2; 512]);
        assert_eq!(torn[1024..], vec![1; 1024]);
    }

    #[test]
    fn a_file_that_was_deleted_may_come_back_until_its_folder_is_synced() {
        let mut image = written();
        image.ask(Asked::Delete);
        image.ask(Asked::Write(0, vec![3]));

        assert_eq!(image.remains(&mut always(0)), Some(vec![1; 2048]));
        image.sync_name();

        assert_eq!(image.remains(&mut always(0)), None);
        assert_eq!(image.remains(&mut always(1)), Some(vec![3]));
    }

    #[test]
    fn a_file_that_was_never_synced_may_not_be_there() {
        let mut image = Image::default();
        image.ask(Asked::Write(0, vec![1]));

        assert_eq!(image.remains(&mut always(0)), None);
        assert_eq!(image.remains(&mut always(1)), Some(vec![1]));
    }
}
