# Turns docs/FORMAT.md into the sections of pfs-format(5), in mdoc(7). It knows the Markdown that is written there:
# headings, paragraphs, lists, tables and fenced blocks; links become their text.

# Below the heading of the page.
BEGIN { afterHeading = 1 }

function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/'/, "\\(aq", text)
  gsub(/\^/, "\\(ha", text)
  gsub(/~/, "\\(ti", text)
  return text
}

function withoutLinks(text,    head) {
  while (match(text, /\[[^\]]*\]\([^)]*\)/)) {
    head = substr(text, RSTART + 1, RLENGTH - 1)
    text = substr(text, 1, RSTART - 1) substr(head, 1, index(head, "](") - 1) substr(text, RSTART + RLENGTH)
  }
  return text
}

# Between backquotes and stars other fonts; a lone star, as in a product, stays.
function marked(text) {
  text = escaped(withoutLinks(text))
  while (match(text, /`[^`]*`/))
    text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  while (match(text, /\*[^* ][^*]*\*/))
    text = substr(text, 1, RSTART - 1) "\\fI" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  return text
}

# Lines of at most 78 characters, each sentence beginning on a new one.
function put(text,    words, count, i, line) {
  count = split(marked(text), words, /[ \t\n]+/)
  line = ""
  for (i = 1; i <= count; i++) {
    if (words[i] == "") continue
    if (line != "" && (length(line) + length(words[i]) > 77 ||
        (line ~ /[.?!]\)?$/ && words[i] ~ /^(\\f|\\\(|[A-Z0-9(])/))) {
      putLine(line)
      line = ""
    }
    line = line (line == "" ? "" : " ") words[i]
  }
  if (line != "") putLine(line)
}

function putLine(line) { print (line ~ /^[.]/ ? "\\&" : "") line }

# What was gathered of a paragraph or of an item of a list.
function flush() {
  if (gathered == "") return
  if (itemMark == "" && !afterHeading && list == "") print ".Pp"
  put(gathered)
  gathered = ""
  afterHeading = 0
}

function endList() {
  flush()
  if (list != "") print ".El"
  list = ""
}

function beginItem(kind) {
  flush()
  afterHeading = 0
  if (list != kind) {
    endList()
    print ".Bl -" kind " -width Ds"
    list = kind
  }
  print ".It"
}

function cells(line, row,    count) {
  sub(/^\| */, "", line)
  sub(/ *\| *$/, "", line)
  return split(line, row, / *\| */)
}

function beginTable(rule,    row, i) {
  endList()
  columnCount = cells(rule, row)
  for (i = 1; i <= columnCount; i++) isNumber[i] = row[i] ~ /:$/
  rowCount = 0
}

function addRow(line,    row, i, text) {
  cells(line, row)
  rowCount++
  for (i = 1; i <= columnCount; i++) {
    # Without marks: in columns all is meant to be seen as it is.
    text = withoutLinks(row[i])
    gsub(/[`*]/, "", text)
    cell[rowCount, i] = text
  }
}

# Columns as wide as they must be, and the last one folded to what is left of a line.
function endTable(    r, i, width, left, line, words, count, w, room, text) {
  left = 0
  for (i = 1; i < columnCount; i++) {
    width[i] = 0
    for (r = 1; r <= rowCount; r++) if (length(cell[r, i]) > width[i]) width[i] = length(cell[r, i])
    left += width[i] + 2
  }
  room = 73 - left
  print ".Bd -literal"
  for (r = 1; r <= rowCount; r++) {
    line = ""
    for (i = 1; i < columnCount; i++)
      line = line sprintf("%" (isNumber[i] ? "" : "-") width[i] "s  ", cell[r, i])
    count = split(cell[r, columnCount], words, / +/)
    text = ""
    for (w = 1; w <= count; w++) {
      if (text != "" && length(text) + length(words[w]) >= room) {
        putLine(escaped(line text))
        line = sprintf("%" left "s", "")
        text = ""
      }
      text = text (text == "" ? "" : " ") words[w]
    }
    line = line text
    sub(/ +$/, "", line)
    putLine(escaped(line))
  }
  print ".Ed"
  afterHeading = 0
}

/^```/ {
  if (inBlock) print ".Ed"
  else { endList(); print ".Bd -literal" }
  afterHeading = 0
  inBlock = !inBlock
  next
}
inBlock { line = escaped($0); putLine(line); next }

/^\|/ {
  if (inTable) addRow($0)
  else if (header == "") header = $0
  else {
    beginTable($0)
    addRow(header)
    inTable = 1
    header = ""
  }
  next
}
inTable { endTable(); inTable = 0 }

# The list of contents leads nowhere in a manual page.
/^# / { title = 1; next }
/^- \[/ && !begun { inContents = 1; next }
inContents && /^  / { next }
inContents { inContents = 0 }

/^##+ / {
  endList()
  begun = 1
  text = $0
  sub(/^#+ /, "", text)
  # A section EXAMPLES, as it would be taken for, comes elsewhere in a page.
  if (text == "Example") text = "Example segment"
  print (($0 ~ /^## /) ? ".Sh " toupper(text) : ".Ss " text)
  afterHeading = 1
  next
}
/^$/ { flush(); if (list != "") pendingEnd = 1; next }
/^- / || /^[0-9]+\. / {
  pendingEnd = 0
  beginItem($0 ~ /^- / ? "bullet" : "enum")
  text = $0
  sub(/^(-|[0-9]+\.) +/, "", text)
  gathered = text
  next
}
/^ / && list != "" { pendingEnd = 0; gathered = gathered " " $0; next }
{
  if (pendingEnd) { endList(); pendingEnd = 0 }
  gathered = gathered (gathered == "" ? "" : " ") $0
}
END { if (inTable) endTable(); endList() }
