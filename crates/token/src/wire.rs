//! The compact form of an authority: length-led fields in a fixed order.

/// Appends fields to a buffer.
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Text behind a byte that says what it is; never sixteen bytes long, so
    /// that it cannot be taken for an id.
    pub(crate) fn text_with(&mut self, kind: u8, text: &str) {
        let mut bytes = vec![kind];
        if text.len() == 15 {
            bytes.push(0);
        }
        bytes.extend_from_slice(text.as_bytes());
        self.bytes(&bytes);
    }

    pub(crate) fn id(&mut self, id: Option<&[u8; 16]>) {
        self.bytes(id.map_or(&[], |id| id.as_slice()));
    }
}

/// Takes fields off the front of a buffer; `None` once anything is off.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f).checked_shl(place * 7)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn id(&mut self) -> Option<Option<[u8; 16]>> {
        let bytes = self.bytes()?;
        if bytes.is_empty() {
            return Some(None);
        }
        Some(Some(bytes.try_into().ok()?))
    }

    /// A list of at most `most` things.
    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        one: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let length = usize::try_from(self.number()?).ok()?;
        if length > most {
            return None;
        }
        (0..length).map(|_| one(self)).collect()
    }

    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
