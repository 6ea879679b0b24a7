//! Messages in the encoding of Protocol Buffers: fields are read as they come,
//! and written one by one. Groups, which nothing here uses, are none.
//!
//! Spec: Protocol Buffers Encoding

/// A message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'m> {
    Number(u64),
    /// A text, bytes, or a message within.
    Bytes(&'m [u8]),
    /// Four or eight bytes, which nothing here looks at.
    Fixed,
}

impl<'m> Value<'m> {
    pub(super) const fn bytes(self) -> Result<&'m [u8], Malformed> {
        match self {
            Self::Bytes(own) => Ok(own),
            Self::Number(_) | Self::Fixed => Err(Malformed),
        }
    }

    pub(super) fn text(self) -> Result<&'m str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// The fields of a message in order, with their numbers. What cannot be read is
/// the last that it gives.
pub(super) struct Fields<'m>(&'m [u8]);

/// Reads a message.
pub(super) const fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

impl<'m> Iterator for Fields<'m> {
    type Item = Result<(u64, Value<'m>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'m> Fields<'m> {
    fn field(&mut self) -> Result<(u64, Value<'m>), Malformed> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.fixed(8)?,
            2 => {
                let size = usize::try_from(self.number()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(size)?)
            }
            5 => self.fixed(4)?,
            _ => return Err(Malformed),
        };
        match tag >> 3 {
            0 => Err(Malformed),
            number => Ok((number, value)),
        }
    }

    fn fixed(&mut self, size: usize) -> Result<Value<'m>, Malformed> {
        self.take(size).map(|_| Value::Fixed)
    }

    fn take(&mut self, size: usize) -> Result<&'m [u8], Malformed> {
        let (own, rest) = self.0.split_at_checked(size).ok_or(Malformed)?;
        self.0 = rest;
        Ok(own)
    }

    /// Seven bits in each byte, the lowest first.
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

/// A message that is written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// With a text, bytes or a message as a field.
    pub(super) fn with(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.varint((field << 3) | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// With a number as a field.
    pub(super) fn with_number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        fields(bytes).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let inner = Message::default().with(1, "key").with(2, "value");
        let message = Message::default()
            .with_number(1, 300)
            .with_number(7, u64::MAX)
            .with(16, inner);

        let read = of(message.as_ref()).unwrap();

        assert_eq!(read[0], (1, Value::Number(300)));
        assert_eq!(read[1], (7, Value::Number(u64::MAX)));
        assert_eq!(read[2].0, 16);
        let inner = of(read[2].1.bytes().unwrap()).unwrap();
        assert_eq!(inner[1].1.text(), Ok("value"));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (why, bytes) in [
            ("a length beyond the end", &[0x0a, 5, b'a'][..]),
            ("no length", &[0x0a]),
            (
                "a length that is no size",
                &[
                    0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                ],
            ),
            ("a number without end", &[0x08, 0x80]),
            (
                "a number of eleven bytes",
                &[
                    0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1,
                ],
            ),
            (
                "a number of 65 bits",
                &[
                    0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                ],
            ),
            ("a group", &[0x0b, 0x0c]),
            ("a kind that is none", &[0x0f]),
            ("field nought", &[0x02, 0]),
            ("half of eight bytes", &[0x09, 1, 2, 3, 4]),
        ] {
            assert_eq!(of(bytes), Err(Malformed), "{why}");
        }
        assert_eq!(of(&[0x0d, 1, 2, 3, 4]), Ok(vec![(1, Value::Fixed)]));
        assert_eq!(of(&[0x0a, 1, 0xff]).unwrap()[0].1.text(), Err(Malformed));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end_or_refused(bytes: Vec<u8>) {
            let count = fields(&bytes).take(bytes.len() + 1).count();
            proptest::prop_assert!(count <= bytes.len());
        }
    }
}
