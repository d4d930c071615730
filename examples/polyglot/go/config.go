package windlass

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// A client's calls may be repeated: a submit names its run. Workers have a back-off of their own. An address
// like dns:///api:7070 spreads the calls over all replicas behind that name.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [{"service": "windlass.v1.RunService"}],
		"retryPolicy": {
			"maxAttempts": 5, "initialBackoff": "0.3s", "maxBackoff": "3s", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// Config says where the engine is and how to speak to it.
type Config struct {
	APIAddress        string      // host:port
	DispatcherAddress string      // empty: a worker asks the api
	Token             string      // sent with every call unless empty
	TokenFile         string      // where to read it in place of Token, anew for each connection
	TLS               *tls.Config // nil: no TLS
}

// ConfigFromEnv reads the variables that every Windlass program reads.
func ConfigFromEnv() (Config, error) {
	config := Config{
		APIAddress:        "127.0.0.1:7070",
		DispatcherAddress: os.Getenv("WINDLASS_DISPATCHER_ADDRESS"),
		Token:             os.Getenv("WINDLASS_TOKEN"),
		TokenFile:         os.Getenv("WINDLASS_TOKEN_FILE"),
	}
	if address := os.Getenv("WINDLASS_API_ADDRESS"); address != "" {
		config.APIAddress = address
	}
	var err error
	config.TLS, err = tlsFromEnv(os.Getenv("WINDLASS_TLS_CA"), os.Getenv("WINDLASS_TLS_CERT"), os.Getenv("WINDLASS_TLS_KEY"))
	return config, err
}

func tlsFromEnv(authorities, certificate, key string) (*tls.Config, error) {
	if authorities == "" && certificate == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities != "" {
		pem, err := os.ReadFile(authorities)
		if err != nil {
			return nil, fmt.Errorf("WINDLASS_TLS_CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("WINDLASS_TLS_CA=%s: no certificate in it", authorities)
		}
	}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("WINDLASS_TLS_CERT, WINDLASS_TLS_KEY: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (c Config) dial(address string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true,
		}),
	}
	if c.TLS != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(c.TLS)))
	}
	token := c.Token
	if token == "" && c.TokenFile != "" {
		content, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("WINDLASS_TOKEN_FILE: %w", err)
		}
		token = strings.TrimSpace(string(content))
	}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	return grpc.NewClient(address, options...)
}

// bearer puts the token into the metadata of every call. On loopback it may travel without TLS.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
