//! Messages in the encoding of Protocol Buffers, as plainly as can be.

/// What a field holds.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Field {
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Number(own) => *own,
            Self::Bytes(_) => panic!("{self:?} is no number"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(own) => own,
            Self::Number(_) => panic!("{self:?} is no text"),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

/// The fields of a message.
pub(crate) fn read(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = take(&mut bytes);
        let value = take(&mut bytes);
        fields.push(match tag & 7 {
            0 => (tag >> 3, Field::Number(value)),
            2 => {
                let (own, rest) = bytes.split_at(usize::try_from(value).unwrap());
                bytes = rest;
                (tag >> 3, Field::Bytes(own.to_vec()))
            }
            other => panic!("fields of kind {other} are not written"),
        });
    }
    fields
}

/// The first field with a number in a message within.
pub(crate) fn first(field: &Field, number: u64) -> Field {
    let fields = read(field.bytes());
    let found = fields.into_iter().find(|(own, _)| *own == number);
    found.unwrap().1
}

/// A text, or a message, as a field.
pub(crate) fn field(number: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let size = u64::try_from(bytes.len()).unwrap();
    [&put((number << 3) | 2), &put(size), bytes].concat()
}

/// A number as a field.
pub(crate) fn number(field: u64, number: u64) -> Vec<u8> {
    [put(field << 3), put(number)].concat()
}

fn put(number: u64) -> Vec<u8> {
    let low = u8::try_from(number & 0x7f).unwrap();
    match number >> 7 {
        0 => vec![low],
        rest => [vec![low | 0x80], put(rest)].concat(),
    }
}

fn take(bytes: &mut &[u8]) -> u64 {
    let (first, rest) = bytes.split_first().unwrap();
    *bytes = rest;
    let low = u64::from(first & 0x7f);
    match first & 0x80 {
        0 => low,
        _ => low | (take(bytes) << 7),
    }
}
