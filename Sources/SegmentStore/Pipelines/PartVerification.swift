import Codecs
import StorageIO

/// Reads parts back from the segment, as a get would, before they count.
struct PartVerification: Sendable {
  let batch: PutBatch
  let reader: SegmentReader

  /// Decodes each of `parts` and compares it with the bytes it was made from.
  /// - Parameter region: Begins with the bytes of the batch and ends with room for one part.
  /// - Throws: `.corrupt` or `.io`, with the place.
  func check(_ parts: [StoredPart], _ region: MemoryRegion, _ decoder: PartDecoder) throws(StoreError) {
    for (index, part) in parts.enumerated() {
      let raw = batch.byteRange(ofPart: index)
      let scratch = (region.byteCount - raw.count)..<region.byteCount
      do throws(StoreError) {
        try reader.withPayload(of: part.id, part.entry) { (payload) throws(StoreError) in
          // A part of zeros is its header.
          if part.entry.codec == .zeros { return }
          try region.withMutableBytes(scratch) { (destination) throws(StoreError) in
            do throws(CodecFailure) {
              try decoder.decode(payload, with: part.entry.codec, into: &destination)
            } catch {
              throw StoreError(.corrupt, "\(place(part)): \(error)")
            }
          }
          let isSame = region.withBytes(raw) { raw in region.withBytes(scratch) { raw.hasSameBytes(as: $0) } }
          if !isSame { throw StoreError(.corrupt, "\(place(part)): reads back as other bytes than were stored") }
        }
      } catch {
        throw error.within("part \(batch.firstPartNumber + index) was not stored intact")
      }
    }
  }

  private func place(_ part: StoredPart) -> String { "segment \(part.entry.segment) offset \(part.entry.offset)" }
}
