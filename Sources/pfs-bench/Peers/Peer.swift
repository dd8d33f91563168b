/// What a user would take in place of pfs: how it stores something, and how it gives it back.
///
/// The texts are for sh. In them are set: IN, what is stored; ARCHIVE and OUT, where it goes and comes back to, in an empty
/// directory DIR; WORKERS. All paths are absolute.
struct Peer: Sendable {
  /// How the figures are called.
  let name: String
  /// What has to be there, the first of them with `--version` or what stands in its place.
  let programs: [String]
  var versionArgument = "--version"
  /// Before a put; not timed.
  var prepare = ""
  let put: String
  let get: String
  /// After a get, where OUT is not yet what was stored; not timed.
  var collect = ""
  var putTarget: Figure.Target?
  var getTarget: Figure.Target?

  /// For one large file.
  static let ofFiles = [
    Peer(name: "cp", programs: ["cp"], put: #"cp -- "$IN" "$ARCHIVE""#, get: #"cp -- "$ARCHIVE" "$OUT""#),
    Peer(
      name: "zstd", programs: ["zstd"], put: #"zstd -q -1 -T"$WORKERS" -o "$ARCHIVE" -- "$IN""#,
      get: #"zstd -q -d -o "$OUT" -- "$ARCHIVE""#, putTarget: .atLeastRatio(1.5), getTarget: .atLeastRatio(2)),
    Peer(
      name: "pigz", programs: ["pigz"], put: #"pigz -1 -p "$WORKERS" -c -- "$IN" > "$ARCHIVE""#,
      get: #"pigz -d -p "$WORKERS" -c < "$ARCHIVE" > "$OUT""#, putTarget: .atLeastRatio(4)),
    Peer(
      name: "restic", programs: ["restic"], versionArgument: "version", prepare: #"restic init -q -r "$ARCHIVE""#,
      put: #"restic -q -r "$ARCHIVE" backup -- "$IN""#,
      get: #"restic -q -r "$ARCHIVE" restore latest --target "$OUT.d""#, collect: #"mv -- "$OUT.d$IN" "$OUT""#,
      putTarget: .atLeastRatio(4), getTarget: .atLeastRatio(3)),
    Peer(
      name: "borg", programs: ["borg"], prepare: #"borg init -e none "$ARCHIVE""#,
      put: #"borg create -C lz4 "$ARCHIVE::a" "$IN""#,
      get: #"mkdir "$OUT.d" && cd "$OUT.d" && borg extract "$ARCHIVE::a""#, collect: #"mv -- "$OUT.d$IN" "$OUT""#),
    Peer(
      name: "casync", programs: ["casync"],
      put: #"casync make --store="$ARCHIVE.castr" "$ARCHIVE.caibx" "$IN""#,
      get: #"casync extract --store="$ARCHIVE.castr" "$ARCHIVE.caibx" "$OUT""#),
    Peer(
      name: "mksquashfs", programs: ["mksquashfs", "unsquashfs"], versionArgument: "-version",
      put: #"mksquashfs "$IN" "$ARCHIVE" -comp gzip -Xcompression-level 1 -processors "$WORKERS" -quiet -no-progress"#,
      get: #"unsquashfs -q -n -p "$WORKERS" -d "$OUT.d" "$ARCHIVE""#,
      collect: #"mv -- "$OUT.d/$(basename -- "$IN")" "$OUT""#),
  ]

  /// For a tree of small files.
  static let ofTrees = [
    Peer(
      name: "cp", programs: ["cp"], put: #"cp -r -- "$IN" "$ARCHIVE""#, get: #"cp -r -- "$ARCHIVE" "$OUT""#,
      getTarget: .atLeastRatio(1)),
    Peer(
      name: "tar_zstd", programs: ["zstd", "tar"],
      put: #"tar -C "$IN" -cf - . | zstd -q -1 -o "$ARCHIVE""#,
      get: #"mkdir "$OUT" && zstd -q -d -c -- "$ARCHIVE" | tar -C "$OUT" -xf -"#, putTarget: .atLeastRatio(0.7)),
    Peer(
      name: "restic", programs: ["restic"], versionArgument: "version", prepare: #"restic init -q -r "$ARCHIVE""#,
      put: #"restic -q -r "$ARCHIVE" backup -- "$IN""#,
      get: #"restic -q -r "$ARCHIVE" restore latest --target "$OUT.d""#, collect: #"mv -- "$OUT.d$IN" "$OUT""#,
      putTarget: .atLeastRatio(5), getTarget: .atLeastRatio(3)),
    Peer(
      name: "borg", programs: ["borg"], prepare: #"borg init -e none "$ARCHIVE""#,
      put: #"borg create -C lz4 "$ARCHIVE::a" "$IN""#,
      get: #"mkdir "$OUT.d" && cd "$OUT.d" && borg extract "$ARCHIVE::a""#, collect: #"mv -- "$OUT.d$IN" "$OUT""#),
  ]
}
