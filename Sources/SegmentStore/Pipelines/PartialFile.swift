import Codecs
import StorageIO

/// What a get that resumes leaves beside its target when it is stopped: the parts it has written, each in its place,
/// and behind the last byte of the file a label that says whose parts they are.
///
/// The label keeps parts of another file or version from being taken for those of this one. Which parts are there is
/// not written down: the next get hashes what it finds. While a get writes the partial file it holds a lock on it, so
/// that two of them do not publish each other's work.
struct PartialFile {
  private let directory: Directory
  private let targetName: [UInt8]
  private let name: [UInt8]
  private let byteCount: Int
  private let label: [UInt8]

  private static let magic = Array("PFSPART1".utf8)
  private static let suffix = Array(".pfs-partial".utf8)
  private static let maximumNameByteCount = 255
  /// Others may make, publish and remove the file between any two steps here, but not for ever.
  private static let attemptCount = 16

  /// The partial file of `targetName`: `.NAME.pfs-partial`, or with the MD5 of the name where that is too long.
  init(_ targetName: [UInt8], in directory: Directory, store: StoreUUID, file id: FileID, _ manifest: Manifest) {
    self.targetName = targetName
    self.directory = directory
    let dot = UInt8(ascii: ".")
    let plain = [dot] + targetName + PartialFile.suffix
    let digest = targetName.withRawSpan { MD5.digest(of: $0) }
    name =
      plain.count <= PartialFile.maximumNameByteCount
      ? plain : [dot] + Array(digest.description.utf8) + PartialFile.suffix
    byteCount = manifest.byteCount
    label = PartialFile.magic + store.bytes + id.key + manifest.etagDigest.bytes
  }

  /// Goes on with the partial file that is there if it is of the same file; otherwise begins a new one in its place.
  /// - Throws: `.busy` when another get writes it, `.unusableFile` when something else has its name.
  func open(replacing: Bool) throws(StoreError) -> OutputFile {
    for _ in 0..<PartialFile.attemptCount {
      if let file = try existing() {
        guard try translatingUser({ () throws(SystemCallFailure) in try file.lock() }) else { throw busy }
        guard try hasName(file) else { continue }
        if try hasLabel(file) { return output(file, replacing, isResumed: true) }
        // Not emptied but removed: under this name may be a link to something dear.
        try translatingUser { () throws(SystemCallFailure) in try directory.removeFile(name) }
      }
      if let file = try make() { return output(file, replacing, isResumed: false) }
    }
    throw busy
  }

  private func output(_ file: File, _ replacing: Bool, isResumed: Bool) -> OutputFile {
    OutputFile(
      targetName, in: directory, replacing: replacing, partial: file, named: name, isResumed: isResumed)
  }

  /// The file that is there; nil when there is none.
  private func existing() throws(StoreError) -> File? {
    let file: File
    let status: FileStatus
    do throws(SystemCallFailure) {
      file = try directory.open(name, [.write, .noFollow, .nonBlocking])
      status = try file.status()
    } catch  where error.isNotFound {
      return nil
    } catch  where error.isEscape {
      throw notOurs
    } catch {
      throw StoreError(user: error)
    }
    // Who owns it could still write to it when it has the name of the target.
    guard status.kind == .file, status.ownerID == FileSystem.effectiveUserID else { throw notOurs }
    return file
  }

  /// A new file, locked and labelled; nil when somebody else was quicker.
  private func make() throws(StoreError) -> File? {
    let file: File
    do throws(SystemCallFailure) {
      file = try directory.open(name, [.write, .createNew, .noFollow])
    } catch  where error.isExists {
      return nil
    } catch {
      throw StoreError(user: error)
    }
    guard try translatingUser({ () throws(SystemCallFailure) in try file.lock() }), try hasName(file) else {
      return nil
    }
    try translatingUser { () throws(SystemCallFailure) in try file.write(label, at: byteCount) }
    return file
  }

  /// Whether the file is still the one under the name: it may have been published or removed before it was locked.
  private func hasName(_ file: File) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      let (named, opened) = (try directory.status(of: name), try file.status())
      return named.device == opened.device && named.inode == opened.inode
    } catch  where error.isNotFound {
      return false
    } catch {
      throw StoreError(user: error)
    }
  }

  private func hasLabel(_ file: File) throws(StoreError) -> Bool {
    try translatingUser { () throws(SystemCallFailure) in
      guard try file.status().byteCount == byteCount + label.count else { return false }
      return try file.bytes(at: byteCount, byteCount: label.count) == label
    }
  }

  private var notOurs: StoreError {
    StoreError(
      .unusableFile, "'\(directory.path.appending(name))': is in the way: not a partial file of this user",
      advice: "remove it, or restore without --resume")
  }

  private var busy: StoreError {
    StoreError(.busy, "'\(directory.path.appending(name))': another get is writing it", advice: "wait for that one")
  }
}
