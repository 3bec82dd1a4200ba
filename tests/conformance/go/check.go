// Checks a log with Go's own packages: a checkpoint's signature, that a leaf is in its tree, and that an earlier tree is
// its beginning. It reads one JSON object on standard input and says what it found.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type given struct {
	Key         string   `json:"key"`
	Proof       string   `json:"proof"`
	Body        string   `json:"body"`
	Earlier     string   `json:"earlier"`
	Consistency []string `json:"consistency"`
}

func fail(what string, err error) {
	fmt.Println(what+":", err)
	os.Exit(1)
}

func decode(text string) []byte {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail("base64", err)
	}
	return content
}

func hash(text string) tlog.Hash {
	var found tlog.Hash
	if copy(found[:], decode(text)) != len(found) {
		fail("hash", fmt.Errorf("%q is no hash", text))
	}
	return found
}

func tree(signed string, verifiers note.Verifiers) tlog.Tree {
	opened, err := note.Open([]byte(signed), verifiers)
	if err != nil {
		fail("checkpoint", err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("size", err)
	}
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

func main() {
	var it given
	if err := json.NewDecoder(os.Stdin).Decode(&it); err != nil {
		fail("input", err)
	}
	verifier, err := note.NewVerifier(it.Key)
	if err != nil {
		fail("key", err)
	}
	verifiers := note.VerifierList(verifier)
	head, signed, _ := strings.Cut(it.Proof, "\n\n")
	now := tree(signed, verifiers)
	lines := strings.Split(head, "\n")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		fail("index", err)
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		path = append(path, hash(line))
	}
	if err := tlog.CheckRecord(path, now.N, now.Hash, index, tlog.RecordHash(decode(it.Body))); err != nil {
		fail("inclusion", err)
	}
	then := tree(it.Earlier, verifiers)
	var proof tlog.TreeProof
	for _, line := range it.Consistency {
		proof = append(proof, hash(line))
	}
	if err := tlog.CheckTree(proof, now.N, now.Hash, then.N, then.Hash); err != nil {
		fail("consistency", err)
	}
	fmt.Printf("leaf %d of %d, after %d\n", index, now.N, then.N)
}
