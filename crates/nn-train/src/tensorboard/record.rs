//! The framing of an event file, which is that of a TFRecord file.

/// What TensorFlow adds to a rotated checksum, so that a checksum of data that holds checksums stays a good one
/// (`tensorflow/core/lib/hash/crc32c.h`).
const MASK_DELTA: u32 = 0xa282_ead8;

/// CRC-32C, rotated right by 15 bits, plus [`MASK_DELTA`].
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

/// Appends a record: its length (8 bytes), the length's checksum (4), the data, the data's checksum (4), all numbers
/// little-endian.
pub(super) fn append_record(out: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C by its definition, one bit at a time: the reflected polynomial of RFC 3720, appendix B.4.
    fn crc32c_by_bits(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let vectors: [(&[u8], u32); 5] = [
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
        ];
        for (bytes, crc) in vectors {
            assert_eq!(crc32c_by_bits(bytes), crc);
            assert_eq!(masked_crc(bytes), crc.rotate_right(15).wrapping_add(0xa282_ead8));
        }
    }

    #[test]
    fn a_record_is_length_checksum_data_checksum() {
        let mut out = vec![7];
        append_record(&mut out, b"123456789");
        let mask = |crc: u32| crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
        let length = [9, 0, 0, 0, 0, 0, 0, 0];
        let expected = [&[7][..], &length, &mask(crc32c_by_bits(&length)), b"123456789", &mask(0xe306_9283)];
        assert_eq!(out, expected.concat());
    }
}
