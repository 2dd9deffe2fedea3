import java.net.CookieManager;
import java.net.http.HttpClient;
import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.AuthApi;
import org.openapitools.client.model.AuthLoginRequest;
import org.openapitools.client.model.Session;

public class Main {
  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(args[0] + "/api/v1");
    client.setHttpClientBuilder(HttpClient.newBuilder().cookieHandler(new CookieManager()));
    AuthApi auth = new AuthApi(client);
    boolean signedIn = auth.authLogin(new AuthLoginRequest().password(args[1])).getAuthenticated();
    String own = auth.authMe().getSession().getId();
    List<Session> sessions = auth.authSessionsList().getSessions();
    String other = sessions.stream().map(Session::getId).filter(id -> !id.equals(own)).findFirst().get();
    System.out.println(signedIn + " " + sessions.size() + " " + auth.authSessionsRevoke(other).getRevoked());
  }
}
