// Takes a bundle apart with Go's own packages and without any of Counterfoil: proves each leaf with sumdb/note and
// sumdb/tlog, finds the leaf that records each statement, and writes what ssh-keygen needs to verify the signatures.
//
//	evidence BUNDLE TRUST FOLDER
//
// The folder must not exist yet, so that nothing in it is of another run.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The members that are looked at; docs/spec/bundle.md has all of them.
type bundle struct {
	Contents struct {
		Ticket struct {
			Statements []struct {
				Statement string
				Assertion struct {
					Data      string `json:"authenticator_data"`
					Client    string `json:"client_data"`
					Signature string
				}
			}
			Leaves []struct{ Body, Opening string }
		}
		Roster struct{ Enrolments []string }
		Proofs []struct {
			Leaf  int64
			Proof string
		}
	}
}

type statement struct{ Person, Credential, Decision string }

type enrolment struct {
	Enrolment struct {
		Person, Credential, Party string
		Key                       string `json:"public_key"`
	}
}

type leaf struct {
	N      int64
	Event  string
	Groups map[string]string
}

type opening struct {
	Salt   string
	Groups map[string]json.RawMessage
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`) // ids that ssh-keygen takes for no pattern

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: evidence BUNDLE TRUST FOLDER")
		os.Exit(2)
	}
	var given bundle
	var trust struct {
		Log string `json:"log_key"`
	}
	read(os.Args[1], &given)
	read(os.Args[2], &trust)
	if trust.Log == "" {
		fail("%s names no log: its log_key is null", os.Args[2])
	}
	verifier, err := note.NewVerifier(trust.Log)
	check("log_key", err)
	check("folder", os.Mkdir(os.Args[3], 0o700))

	proofs := map[int64]string{}
	for _, each := range given.Contents.Proofs {
		proofs[each.Leaf] = each.Proof
	}
	recorded := map[string]int64{}
	for _, each := range given.Contents.Ticket.Leaves {
		var body leaf
		parse("leaf", each.Body, &body)
		size := prove(proofs[body.N], body.N, each.Body, note.VerifierList(verifier))
		fmt.Printf("leaf %d of %d: %s\n", body.N, size, body.Event)
		if digest := opened(body, each.Opening); digest != "" {
			recorded[digest] = body.N
		}
	}
	keys := map[string]enrolment{}
	for _, each := range given.Contents.Roster.Enrolments {
		var found enrolment
		parse("enrolment", each, &found)
		keys[found.Enrolment.Credential] = found
	}
	var signers []string
	for number, each := range given.Contents.Ticket.Statements {
		var said statement
		parse("statement", each.Statement, &said)
		digest := sha256.Sum256(pae("counterfoil-statement", []byte(each.Statement)))
		at, found := recorded[base64.RawURLEncoding.EncodeToString(digest[:])]
		if !found {
			fail("statement %d is recorded by no leaf that opens", number+1)
		}
		signer, known := keys[said.Credential]
		if !known || signer.Enrolment.Person != said.Person || !plain.MatchString(said.Person) {
			fail("statement %d: no enrolment of its passkey for %q", number+1, said.Person)
		}
		public := publicKey(signer.Enrolment.Key, signer.Enrolment.Party)
		space := "counterfoil-" + said.Decision + "@v1.counterfoil"
		name := fmt.Sprintf("statement-%d.json", number+1)
		signed := armour(public, space, unb64(each.Assertion.Data), unb64(each.Assertion.Client), unb64(each.Assertion.Signature))
		check(name, os.WriteFile(filepath.Join(os.Args[3], name), []byte(each.Statement), 0o600))
		check(name, os.WriteFile(filepath.Join(os.Args[3], name+".sig"), signed, 0o600))
		if said.Decision == "approve" {
			signers = append(signers, fmt.Sprintf("%s namespaces=%q sk-ecdsa-sha2-nistp256@openssh.com %s\n",
				said.Person, space, base64.StdEncoding.EncodeToString(public)))
		}
		fmt.Printf("%s: %q by %s, recorded by leaf %d\n", name, said.Decision, said.Person, at)
	}
	check("signers", os.WriteFile(filepath.Join(os.Args[3], "allowed_signers"), []byte(strings.Join(signers, "")), 0o600))
}

// prove checks that the leaf is in the tree of a checkpoint that the log's key signed; docs/spec/leaf.md, "The log".
func prove(proof string, number int64, body string, trusted note.Verifiers) int64 {
	head, signed, _ := strings.Cut(proof, "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != "index "+strconv.FormatInt(number, 10) {
		fail("leaf %d has no proof", number)
	}
	checkpoint, err := note.Open([]byte(signed), trusted)
	check(fmt.Sprintf("leaf %d", number), err)
	told := strings.Split(checkpoint.Text, "\n")
	if len(told) < 3 || told[0] != checkpoint.Sigs[0].Name {
		fail("leaf %d: the checkpoint is of another log", number)
	}
	size, err := strconv.ParseInt(told[1], 10, 64)
	check("size", err)
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		path = append(path, hash(line))
	}
	check(fmt.Sprintf("leaf %d", number), tlog.CheckRecord(path, size, hash(told[2]), number, tlog.RecordHash([]byte(body))))
	return size
}

// opened is the digest of the statement that a leaf records; empty where it records none, or its opening is gone.
func opened(body leaf, text string) string {
	if body.Event != "statement" || text == "" {
		return ""
	}
	var open opening
	parse("opening", text, &open)
	value := open.Groups["statement"]
	made := mac(mac(unb64(open.Salt), []byte("statement")), pae("counterfoil-leaf-group", value))
	if !hmac.Equal(made, unb64(body.Groups["statement"])) {
		fail("leaf %d does not open", body.N)
	}
	var digest string
	parse("digest", string(value), &digest)
	return digest
}

// publicKey is a passkey as OpenSSH writes one, PROTOCOL.u2f: type, curve, point, application.
func publicKey(spki, party string) []byte {
	parsed, err := x509.ParsePKIXPublicKey(unb64(spki))
	check("passkey", err)
	key, right := parsed.(*ecdsa.PublicKey)
	if !right || key.Curve != elliptic.P256() {
		fail("a passkey is no P-256 key")
	}
	point := elliptic.Marshal(key.Curve, key.X, key.Y)
	return texts([]byte("sk-ecdsa-sha2-nistp256@openssh.com"), []byte("nistp256"), point, []byte(party))
}

// armour is the signature as ssh-keygen reads it: PROTOCOL.sshsig around the webauthn signature of PROTOCOL.u2f.
func armour(public []byte, space string, data, client, der []byte) []byte {
	var numbers struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(der, &numbers)
	check("signature", err)
	var told struct{ Origin string }
	parse("client data", string(client), &told)
	if len(data) < 37 {
		fail("an assertion is too short")
	}
	signature := bytes.Join([][]byte{
		texts([]byte("webauthn-sk-ecdsa-sha2-nistp256@openssh.com"), texts(positive(numbers.R), positive(numbers.S))),
		data[32:37], texts([]byte(told.Origin), client, data[37:]),
	}, nil)
	blob := append([]byte("SSHSIG\x00\x00\x00\x01"), texts(public, []byte(space), nil, []byte("sha512"), signature)...)
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob})
}

func positive(value *big.Int) []byte { return value.FillBytes(make([]byte, value.BitLen()/8+1)) }

func texts(parts ...[]byte) []byte {
	var whole []byte
	for _, part := range parts {
		whole = append(binary.BigEndian.AppendUint32(whole, uint32(len(part))), part...)
	}
	return whole
}

func pae(kind string, content []byte) []byte {
	return append([]byte(fmt.Sprintf("DSSEv1 %d %s %d ", len(kind), kind, len(content))), content...)
}

func mac(key, content []byte) []byte {
	made := hmac.New(sha256.New, key)
	made.Write(content)
	return made.Sum(nil)
}

func hash(text string) (found tlog.Hash) {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil || copy(found[:], content) != len(found) || len(content) != len(found) {
		fail("%q is no hash", text)
	}
	return found
}

func unb64(text string) []byte {
	content, err := base64.RawURLEncoding.DecodeString(text)
	check("base64url", err)
	return content
}

func read(path string, into any) {
	content, err := os.ReadFile(path)
	check("file", err)
	parse(path, string(content), into)
}

func parse(what, text string, into any) { check(what, json.Unmarshal([]byte(text), into)) }

func check(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
